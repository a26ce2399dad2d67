/** Where randomness comes from: an engine draws nothing by itself. */
export interface Rng {
    /** A number between `low` and `high`, drawn evenly. */
    uniform(low: number, high: number): number;
    /** 64 random bits as 16 lower-case hex digits. */
    hex64(): string;
}
