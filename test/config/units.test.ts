import { describe, expect, test } from 'vitest'
import { byteRate, duration, positiveDuration, rate, ratio, size } from '#core/config/units'

describe('duration', () => {
  test.each([
    ['250ms', 250],
    ['2s', 2000],
    ['1.5s', 1500],
    ['5m', 300_000],
    ['1h', 3_600_000],
    ['1d', 86_400_000],
    ['0s', 0],
  ])('%s is %d ms', (text, ms) => {
    expect(duration.parse(text)).toBe(ms)
  })

  test.each(['5', '5 s', '-1s', '1m30s', 's', '', '2S', '1e3s', 5, null])('refuses %j', (value) => {
    expect(duration.safeParse(value).error?.issues[0]?.message).toContain('expected a duration such as')
  })

  test('is no longer than a timer can be', () => {
    expect(duration.parse('24d')).toBe(24 * 86_400_000)
    expect(duration.safeParse('25d').success).toBe(false)
  })

  test('may have to be longer than zero', () => {
    expect(positiveDuration.safeParse('0s').success).toBe(false)
    expect(positiveDuration.parse('1ms')).toBe(1)
  })
})

describe('size', () => {
  test.each([
    ['16KiB', 16_384],
    ['1MiB', 1_048_576],
    ['1.5KiB', 1536],
    ['1kB', 1000],
    ['2MB', 2_000_000],
    ['10B', 10],
    [0, 0],
    [4096, 4096],
  ])('%s is %d bytes', (value, bytes) => {
    expect(size.parse(value)).toBe(bytes)
  })

  test.each(['16', '16 KiB', '16K', '-1B', -1, 1.5, true])('refuses %j', (value) => {
    expect(size.safeParse(value).success).toBe(false)
  })
})

describe('ratio', () => {
  test.each([
    ['50%', 0.5],
    ['0%', 0],
    ['100%', 1],
    ['12.5%', 0.125],
    [0.2, 0.2],
    [1, 1],
  ])('%s is %d', (value, share) => {
    expect(ratio.parse(value)).toBe(share)
  })

  test.each(['101%', '50', '-5%', 1.1, -0.1, 50])('refuses %j', (value) => {
    expect(ratio.safeParse(value).success).toBe(false)
  })
})

describe('rate', () => {
  test.each([
    ['100/s', 100],
    ['600/m', 10],
    ['3600/h', 1],
  ])('%s is %d per second', (text, perSecond) => {
    expect(rate.parse(text)).toBe(perSecond)
  })

  test.each(['100', '100/d', '/s', 100])('refuses %j', (value) => {
    expect(rate.safeParse(value).success).toBe(false)
  })

  test('of bytes', () => {
    expect(byteRate.parse('240B/s')).toBe(240)
    expect(byteRate.parse('1KiB/s')).toBe(1024)
    expect(byteRate.parse(0)).toBe(0)
    expect(byteRate.safeParse('240/s').success).toBe(false)
  })
})
