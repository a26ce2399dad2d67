/** Which rows of a long list are to be in the page. Heights and places are in pixels. */
/** The rows from `start` up to, without, `end`. */
export interface Range {
    readonly start: number;
    readonly end: number;
}
/** Where each row begins, and, as the last number, where the list ends. */
export declare function offsetsOf(heights: Iterable<number>, count: number): Float64Array;
/** The row that is at this place: the first whose end is below it. */
export declare function rowAt(offsets: Float64Array, place: number): number;
/** The rows that a view of this height shows, and those within `margin` around it. */
export declare function rangeOf(offsets: Float64Array, top: number, height: number, margin: number): Range;
/** How high a message is likely to be that was never measured. */
export declare function guess(content: string): number;
