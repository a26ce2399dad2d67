/** Small things about texts that the port needs and JavaScript has not got. */
/** How many bytes a text has in UTF-8. */
export declare function utf8Length(text: string): number;
/** Has a text more than so many code points? */
export declare function longerThan(text: string, points: number): boolean;
/** A number with six significant digits and no needless zeros: what `{x:g}` writes in Python. */
export declare function g(x: number): string;
/** A number with so many decimals, a tie to the even one: what `{x:.1f}` writes in Python. */
export declare function fixed(x: number, decimals: number): string;
/** A value in quotes, or a number as it is: what `{x!r}` writes in Python of what is printable. */
export declare function repr(value: number | string): string;
