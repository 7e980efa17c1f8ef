import { conforms } from './run.ts'

conforms('circuit-breaker', 'latency', {
  options: { slow: '1s', minRequests: 4, open: '30s', permits: 3 },
  fixture: { fail: (gate, token) => gate.settle(token, 'success', 5000) },
})
