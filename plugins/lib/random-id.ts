const letters = 'abcdefghijklmnopqrstuvwxyz234567'

/** 100 bits of chance as 20 letters and digits. */
export function randomId(random: () => number): string {
  let id = ''
  for (let i = 0; i < 20; i++) id += letters[Math.floor(random() * letters.length)]
  return id
}
