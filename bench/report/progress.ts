/** What a run tells of its pieces. */
export interface Advance {
  advance(plannedSeconds: number, text: string): void
}

/** Says where a run is and how long it still takes; the estimate is corrected by how long the past really took. */
export class Progress implements Advance {
  readonly #planned: number
  readonly #started = performance.now()
  #done = 0

  /** Seconds the whole run is expected to take. */
  constructor(planned: number) {
    this.#planned = planned
    this.say(`about ${duration(planned)} in all`)
  }

  /** Another piece is over that was planned to take this long. */
  advance(plannedSeconds: number, text: string): void {
    this.count(plannedSeconds)
    this.tell(text)
  }

  /** The same, silently. */
  count(plannedSeconds: number): void {
    this.#done += plannedSeconds
  }

  tell(text: string): void {
    const spent = (performance.now() - this.#started) / 1000
    const pace = this.#done > 0 ? spent / this.#done : 1
    this.say(`${duration(Math.max(0, this.#planned - this.#done) * pace).padStart(10)} left  ${text}`)
  }

  say(text: string): void {
    process.stdout.write(`${text}\n`)
  }
}

export function duration(seconds: number): string {
  const whole = Math.round(seconds)
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, '0')} s`
}
