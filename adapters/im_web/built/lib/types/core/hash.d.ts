/** A short name for a long text. */
/**
 * 128 bits of a text, as 32 hex digits. Good for telling texts apart by accident, not against
 * somebody who looks for two alike.
 */
export declare function hash128(text: string): string;
