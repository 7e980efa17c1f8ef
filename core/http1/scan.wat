;; Finds the fields of one whole message head, 16 bytes at a time. It refuses nothing: what is not plainly right (an
;; error, a head that is not whole, more fields than allowed) gives -1, and parse.ts then reads the same bytes and judges.
;; What it does accept, parse.ts accepts with the same offsets (test/fuzz/scan.test.ts).
;;
;; The memory is laid out by scan.ts, which also writes the tables. Loads reach up to 44 bytes beyond `end` (three steps of
;; a request line, of which each may begin up to 16 bytes behind the one before); what they find there is never acted on,
;; because places only grow and nothing is accepted before they are checked against `end`.
(module
  (import "scan" "memory" (memory 1))

  ;; Bit i is set where byte i of the 16 at $at is no token byte (RFC 9110 §5.6.2). A byte's low half picks the set of
  ;; high halves that make a token with it, its high half picks the one bit to look for (Langdale & Lemire, "Parsing
  ;; Gigabytes of JSON per Second", 2019, §3.1.2).
  (func $others (param $at i32) (result i32)
    (local $bytes v128)
    (local.set $bytes (v128.load (local.get $at)))
    (i8x16.bitmask
      (i8x16.eq
        (v128.and
          (i8x16.swizzle (v128.load (i32.const 0))
            (v128.and (local.get $bytes) (v128.const i32x4 0x0f0f0f0f 0x0f0f0f0f 0x0f0f0f0f 0x0f0f0f0f)))
          (i8x16.swizzle (v128.load (i32.const 16)) (i8x16.shr_u (local.get $bytes) (i32.const 4))))
        (v128.const i64x2 0 0))))

  ;; The first byte from $at on that may not stand in a field value or a reason (RFC 9110 §5.5): a control character
  ;; other than the tab. $end or beyond: there is none before it.
  (func $valueEnd (param $at i32) (param $end i32) (result i32)
    (local $bytes v128)
    (local $mask i32)
    (loop $more
      (local.set $bytes (v128.load (local.get $at)))
      (local.set $mask
        (i8x16.bitmask
          (v128.or
            (v128.andnot
              (i8x16.lt_u (local.get $bytes) (v128.const i32x4 0x20202020 0x20202020 0x20202020 0x20202020))
              (i8x16.eq (local.get $bytes) (v128.const i32x4 0x09090909 0x09090909 0x09090909 0x09090909)))
            (i8x16.eq (local.get $bytes) (v128.const i32x4 0x7f7f7f7f 0x7f7f7f7f 0x7f7f7f7f 0x7f7f7f7f)))))
      (if (local.get $mask)
        (then (return (i32.add (local.get $at) (i32.ctz (local.get $mask))))))
      (local.set $at (i32.add (local.get $at) (i32.const 16)))
      (br_if $more (i32.lt_u (local.get $at) (local.get $end))))
    (local.get $at))

  ;; The first byte from $at on that is no token byte.
  (func $tokenEnd (param $at i32) (param $end i32) (result i32)
    (local $mask i32)
    (loop $more
      (local.set $mask (call $others (local.get $at)))
      (if (local.get $mask)
        (then (return (i32.add (local.get $at) (i32.ctz (local.get $mask))))))
      (local.set $at (i32.add (local.get $at) (i32.const 16)))
      (br_if $more (i32.lt_u (local.get $at) (local.get $end))))
    (local.get $at))

  ;; The first byte from $at on that may not stand in a target: none of 0x21 to 0x7e, or `#`.
  (func $targetEnd (param $at i32) (param $end i32) (result i32)
    (local $bytes v128)
    (local $mask i32)
    (loop $more
      (local.set $bytes (v128.load (local.get $at)))
      (local.set $mask
        (i8x16.bitmask
          (v128.or
            (v128.or
              (i8x16.le_u (local.get $bytes) (v128.const i32x4 0x20202020 0x20202020 0x20202020 0x20202020))
              (i8x16.ge_u (local.get $bytes) (v128.const i32x4 0x7f7f7f7f 0x7f7f7f7f 0x7f7f7f7f 0x7f7f7f7f)))
            (i8x16.eq (local.get $bytes) (v128.const i32x4 0x23232323 0x23232323 0x23232323 0x23232323)))))
      (if (local.get $mask)
        (then (return (i32.add (local.get $at) (i32.ctz (local.get $mask))))))
      (local.set $at (i32.add (local.get $at) (i32.const 16)))
      (br_if $more (i32.lt_u (local.get $at) (local.get $end))))
    (local.get $at))

  ;; Minor version of `HTTP/1.0` or `HTTP/1.1` at $at, or something above 1.
  (func $minor (param $at i32) (result i32)
    (if (i64.ne
          (i64.and (i64.load (local.get $at)) (i64.const 0x00ffffffffffffff))
          (i64.const 0x002e312f50545448))
      (then (return (i32.const 2))))
    (i32.sub (i32.load8_u offset=7 (local.get $at)) (i32.const 48)))

  ;; Id of the known field whose name is [$start, $start + $length), or 0.
  (func $identify (param $start i32) (param $length i32) (result i32)
    (local $id i32)
    (local $spelling i32)
    (local $bytes v128)
    (local $equal i32)
    (if (i32.gt_u (local.get $length) (i32.const 17)) (then (return (i32.const 0))))
    (local.set $id
      (i32.load8_u offset=64
        (i32.add
          (i32.shl (local.get $length) (i32.const 5))
          (i32.and (i32.load8_u (local.get $start)) (i32.const 31)))))
    (if (i32.eqz (local.get $id)) (then (return (i32.const 0))))
    (local.set $spelling (i32.shl (local.get $id) (i32.const 5)))
    (local.set $bytes (v128.load (local.get $start)))
    ;; In lower case. A to Z: what is left of them after 65 is below 26.
    (local.set $bytes
      (v128.or (local.get $bytes)
        (v128.and
          (i8x16.lt_u
            (i8x16.sub (local.get $bytes) (v128.const i32x4 0x41414141 0x41414141 0x41414141 0x41414141))
            (v128.const i32x4 0x1a1a1a1a 0x1a1a1a1a 0x1a1a1a1a 0x1a1a1a1a))
          (v128.const i32x4 0x20202020 0x20202020 0x20202020 0x20202020))))
    (local.set $equal
      (i8x16.bitmask (i8x16.eq (local.get $bytes) (v128.load offset=1024 (local.get $spelling)))))
    ;; Bits beyond the name do not count; of 17 letters the last one is looked at by itself.
    (if (i32.ne
          (i32.and
            (i32.or (local.get $equal) (i32.shl (i32.const -1) (local.get $length)))
            (i32.const 0xffff))
          (i32.const 0xffff))
      (then (return (i32.const 0))))
    (if (i32.eq (local.get $length) (i32.const 17))
      (then
        (if (i32.ne
              (i32.or (i32.load8_u offset=16 (local.get $start)) (i32.const 32))
              (i32.load8_u offset=1040 (local.get $spelling)))
          (then (return (i32.const 0))))))
    (local.get $id))

  ;; Leaves seven integers of the start line at 2048 and five a field from 4096 on; see scan.ts. The count of fields, or -1.
  (func (export "scan")
    (param $request i32) (param $base i32) (param $end i32) (param $most i32) (result i32)
    (local $at i32)
    (local $stop i32)
    (local $minor i32)
    (local $count i32)
    (local $out i32)
    (local $length i32)
    (local $id i32)
    (local $byte i32)
    (local.set $at (local.get $base))
    (if (local.get $request)
      (then
        (local.set $stop (call $tokenEnd (local.get $at) (local.get $end)))
        (if (i32.eq (local.get $stop) (local.get $at)) (then (return (i32.const -1))))
        (if (i32.ne (i32.load8_u (local.get $stop)) (i32.const 32)) (then (return (i32.const -1))))
        (i32.store offset=2048 (i32.const 0) (i32.sub (local.get $stop) (local.get $base)))
        (local.set $at (i32.add (local.get $stop) (i32.const 1)))
        (i32.store offset=2052 (i32.const 0) (i32.sub (local.get $at) (local.get $base)))
        (local.set $stop (call $targetEnd (local.get $at) (local.get $end)))
        (if (i32.eq (local.get $stop) (local.get $at)) (then (return (i32.const -1))))
        (if (i32.ne (i32.load8_u (local.get $stop)) (i32.const 32)) (then (return (i32.const -1))))
        (i32.store offset=2056 (i32.const 0) (i32.sub (local.get $stop) (local.get $base)))
        (local.set $at (i32.add (local.get $stop) (i32.const 1)))
        (local.set $minor (call $minor (local.get $at)))
        (local.set $stop (i32.add (local.get $at) (i32.const 8))))
      (else
        (local.set $minor (call $minor (local.get $base)))
        (if (i32.ne (i32.load8_u offset=8 (local.get $base)) (i32.const 32)) (then (return (i32.const -1))))
        (if (i32.gt_u (i32.sub (i32.load8_u offset=9 (local.get $base)) (i32.const 49)) (i32.const 8))
          (then (return (i32.const -1))))
        (if (i32.gt_u (i32.sub (i32.load8_u offset=10 (local.get $base)) (i32.const 48)) (i32.const 9))
          (then (return (i32.const -1))))
        (if (i32.gt_u (i32.sub (i32.load8_u offset=11 (local.get $base)) (i32.const 48)) (i32.const 9))
          (then (return (i32.const -1))))
        ;; 5328 is what the three zeros of `'0' * 111` are too much.
        (i32.store offset=2064 (i32.const 0)
          (i32.sub
            (i32.add
              (i32.add
                (i32.mul (i32.load8_u offset=9 (local.get $base)) (i32.const 100))
                (i32.mul (i32.load8_u offset=10 (local.get $base)) (i32.const 10)))
              (i32.load8_u offset=11 (local.get $base)))
            (i32.const 5328)))
        (local.set $at (i32.add (local.get $base) (i32.const 12)))
        ;; The space behind the code may be missing where there is no reason.
        (if (i32.eq (i32.load8_u (local.get $at)) (i32.const 32))
          (then (local.set $at (i32.add (local.get $at) (i32.const 1))))
          (else
            (if (i32.ne (i32.load8_u (local.get $at)) (i32.const 13)) (then (return (i32.const -1))))))
        (local.set $stop (call $valueEnd (local.get $at) (local.get $end)))
        (i32.store offset=2052 (i32.const 0) (i32.sub (local.get $at) (local.get $base)))
        (i32.store offset=2056 (i32.const 0) (i32.sub (local.get $stop) (local.get $base)))))
    (if (i32.gt_u (local.get $minor) (i32.const 1)) (then (return (i32.const -1))))
    (i32.store offset=2060 (i32.const 0) (local.get $minor))
    ;; CR and LF, read as one number.
    (if (i32.ne (i32.load16_u (local.get $stop)) (i32.const 0x0a0d)) (then (return (i32.const -1))))
    (local.set $at (i32.add (local.get $stop) (i32.const 2)))
    (i32.store offset=2068 (i32.const 0) (i32.sub (local.get $at) (local.get $base)))
    (local.set $out (i32.const 4096))
    (loop $line
      ;; Two more bytes at least: the empty line.
      (if (i32.gt_u (i32.add (local.get $at) (i32.const 2)) (local.get $end)) (then (return (i32.const -1))))
      (if (i32.eq (i32.load16_u (local.get $at)) (i32.const 0x0a0d))
        (then
          (i32.store offset=2072 (i32.const 0)
            (i32.sub (i32.add (local.get $at) (i32.const 2)) (local.get $base)))
          (return (local.get $count))))
      (if (i32.ge_u (local.get $count) (local.get $most)) (then (return (i32.const -1))))
      (local.set $stop (call $tokenEnd (local.get $at) (local.get $end)))
      (local.set $length (i32.sub (local.get $stop) (local.get $at)))
      (if (i32.eqz (local.get $length)) (then (return (i32.const -1))))
      (if (i32.ne (i32.load8_u (local.get $stop)) (i32.const 58)) (then (return (i32.const -1))))
      (local.set $id (call $identify (local.get $at) (local.get $length)))
      ;; What may pass for Content-Length or Transfer-Encoding begins and ends like one of them: parse.ts looks closer.
      (if (i32.and (i32.eqz (local.get $id)) (i32.ge_u (local.get $length) (i32.const 14)))
        (then
          (local.set $byte
            (i32.or
              (i32.shl (i32.or (i32.load8_u (local.get $at)) (i32.const 32)) (i32.const 8))
              (i32.or (i32.load8_u (i32.sub (local.get $stop) (i32.const 1))) (i32.const 32))))
          ;; "ch", "tg"
          (if (i32.or
                (i32.eq (local.get $byte) (i32.const 0x6368))
                (i32.eq (local.get $byte) (i32.const 0x7467)))
            (then (return (i32.const -1))))))
      (i32.store (local.get $out) (i32.sub (local.get $at) (local.get $base)))
      (i32.store offset=4 (local.get $out) (i32.sub (local.get $stop) (local.get $base)))
      (i32.store offset=16 (local.get $out) (local.get $id))
      (local.set $at (i32.add (local.get $stop) (i32.const 1)))
      (loop $space
        (local.set $byte (i32.load8_u (local.get $at)))
        (if (i32.or (i32.eq (local.get $byte) (i32.const 32)) (i32.eq (local.get $byte) (i32.const 9)))
          (then
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (if (i32.ge_u (local.get $at) (local.get $end)) (then (return (i32.const -1))))
            (br $space))))
      (local.set $stop (call $valueEnd (local.get $at) (local.get $end)))
      (if (i32.ne (i32.load16_u (local.get $stop)) (i32.const 0x0a0d)) (then (return (i32.const -1))))
      (i32.store offset=8 (local.get $out) (i32.sub (local.get $at) (local.get $base)))
      ;; Without the white space at its end.
      (local.set $length (local.get $stop))
      (loop $trim
        (if (i32.gt_u (local.get $length) (local.get $at))
          (then
            (local.set $byte (i32.load8_u (i32.sub (local.get $length) (i32.const 1))))
            (if (i32.or (i32.eq (local.get $byte) (i32.const 32)) (i32.eq (local.get $byte) (i32.const 9)))
              (then
                (local.set $length (i32.sub (local.get $length) (i32.const 1)))
                (br $trim))))))
      (i32.store offset=12 (local.get $out) (i32.sub (local.get $length) (local.get $base)))
      (local.set $out (i32.add (local.get $out) (i32.const 20)))
      (local.set $count (i32.add (local.get $count) (i32.const 1)))
      (local.set $at (i32.add (local.get $stop) (i32.const 2)))
      (br $line))
    (unreachable)))
