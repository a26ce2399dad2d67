/** Envelopes into frames (protocol.md section 2, `batch`). */
/**
 * Cut a list of written envelopes into batches of at most `batch` and `frameBytes` bytes.
 *
 * An envelope that is too large alone gets a frame of its own.
 */
export declare function pack(envelopes: readonly string[], { batch, frameBytes }: {
    batch: number;
    frameBytes: number;
}): string[][];
