-- Prints the run's figures as one line of JSON. With the first argument "upload" every request carries a body of 1 MiB; with a
-- status as the second one, every answer is to have it: without, those over 399 are errors.
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  if args[1] == "upload" then
    wrk.method = "POST"
    wrk.body = string.rep("u", 1048576)
  end
  expected = tonumber(args[2])
  others = 0
  -- Where it is not there wrk need not read the answers.
  if expected then
    response = function(status)
      if status ~= expected then others = others + 1 end
    end
  end
end

function done(summary, latency)
  local errors = summary.errors
  local status = errors.status
  if threads[1]:get("expected") then
    status = 0
    for _, thread in ipairs(threads) do status = status + thread:get("others") end
  end
  io.write(string.format(
    '{"requests":%d,"microseconds":%d,"bytes":%d,"p50":%d,"p90":%d,"p99":%d,"max":%d,' ..
    '"connect":%d,"read":%d,"write":%d,"timeout":%d,"status":%d}\n',
    summary.requests, summary.duration, summary.bytes,
    latency:percentile(50), latency:percentile(90), latency:percentile(99), latency.max,
    errors.connect, errors.read, errors.write, errors.timeout, status))
end
