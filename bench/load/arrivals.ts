/** When requests should start, whatever becomes of the earlier ones: what makes a load open. */
export const arrivalKinds = ['poisson', 'uniform'] as const
export type ArrivalKind = (typeof arrivalKinds)[number]

/** Milliseconds from one intended start to the next, at `ratePerSecond` on average. */
export function gaps(kind: ArrivalKind, ratePerSecond: number, random: () => number): () => number {
  const mean = 1000 / ratePerSecond
  if (kind === 'uniform') return () => mean
  // Exponential: 1 − random() is never 0.
  return () => -Math.log(1 - random()) * mean
}
