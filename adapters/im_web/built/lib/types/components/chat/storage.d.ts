/** Small things that a browser keeps for us, if it lets us: some refuse it in private windows. */
/** What was kept under a name; null if nothing was. */
export declare function recall(name: string): string | null;
/** Keep a text; null forgets it. */
export declare function remember(name: string, text: string | null): void;
