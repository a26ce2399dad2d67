/** A Map whose oldest key is found at once, however many were deleted before it. */
export declare class Queue<K extends number | string, V> extends Map<K, V> {
    #private;
    /** The oldest key; undefined: there is none. */
    first(): K | undefined;
    delete(key: K): boolean;
}
