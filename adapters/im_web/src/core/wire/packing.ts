/** Envelopes into frames (protocol.md section 2, `batch`). */

import { utf8Length } from '../text'

/**
 * Cut a list of written envelopes into batches of at most `batch` and `frameBytes` bytes.
 *
 * An envelope that is too large alone gets a frame of its own.
 */
export function pack(
  envelopes: readonly string[],
  { batch, frameBytes }: { batch: number; frameBytes: number },
): string[][] {
  if (batch <= 1 || envelopes.length === 1) return envelopes.map((envelope) => [envelope])
  const frames: string[][] = []
  let frame: string[] = []
  let size = 0
  for (const envelope of envelopes) {
    const length = utf8Length(envelope)
    // the brackets of the array, and the comma before this one
    if (!frames.length || frame.length >= batch || size + length + 1 > frameBytes) {
      frame = []
      frames.push(frame)
      size = 2
    }
    frame.push(envelope)
    size += length + 1
  }
  return frames
}
