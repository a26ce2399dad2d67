/**
 * JSON as the Python side reads it: integers keep all their digits and are told from other numbers,
 * and what no strict parser takes is no JSON here either.
 */
/** A number that was written with a point or an exponent. */
export declare class Float {
    readonly value: number;
    constructor(value: number);
}
/** A JSON value. Integers above 2^53-1 are bigints. Objects have no prototype. */
export type Json = null | boolean | number | bigint | Float | string | Json[] | JsonObject;
export interface JsonObject {
    [key: string]: Json;
}
/** It is not JSON; the text never shows it. */
export declare class NotJson extends Error {
}
export declare function isObject(value: unknown): value is JsonObject;
/** Can it be written as UTF-8, that is, does it hold no lone surrogate? */
export declare function isText(value: string): boolean;
/**
 * Read JSON.
 *
 * @param text - all of it.
 * @param lax - take NaN and Infinity too.
 * @throws NotJson - it is none, or too deep, or not text.
 */
export declare function parseJson(text: string, lax?: boolean): Json;
