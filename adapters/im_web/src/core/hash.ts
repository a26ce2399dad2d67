/** A short name for a long text. */

const SEEDS: readonly number[] = [0x3c6ef372, 0x1b873593, 0x85ebca6b, 0xc2b2ae35]
const FACTORS: readonly number[] = [0x27d4eb2f, 0x165667b1, 0x9e3779b1, 0x85ebca77]

/**
 * 128 bits of a text, as 32 hex digits. Good for telling texts apart by accident, not against
 * somebody who looks for two alike.
 */
export function hash128(text: string): string {
  const state = SEEDS.map((seed) => seed ^ text.length)
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at)
    for (let lane = 0; lane < 4; lane += 1) {
      const mixed = Math.imul((state[lane] as number) ^ unit, FACTORS[lane] as number)
      state[lane] = (mixed << 13) | (mixed >>> 19)
    }
  }
  // every lane has a part in every other
  for (let round = 0; round < 8; round += 1) {
    const lane = round % 4
    const mixed = Math.imul((state[lane] as number) ^ ((state[lane] as number) >>> 15), 0x2c1b3c6d)
    state[(lane + 1) % 4] = ((state[(lane + 1) % 4] as number) + mixed) ^ (mixed >>> 12)
  }
  return state.map((lane) => (lane >>> 0).toString(16).padStart(8, '0')).join('')
}
