/**
 * Reading what a peer sent, by tables: a rule for each field of each message.
 *
 * The verdicts, and the names of the rules that are broken, are those of the Python side. No error
 * here ever shows the input: it may hold a token.
 */
import { type Json, type JsonObject } from './json';
/** A rule that is broken, and where. */
export declare class Fault {
    readonly rule: string;
    readonly place: readonly (string | number)[];
    constructor(rule: string, place?: readonly (string | number)[]);
    /** The same, further inside. */
    at(part: string | number): Fault;
    toString(): string;
}
/** Reads a value, or says which rule it breaks. */
export type Rule<T> = (value: Json) => T | Fault;
/** A field that may be left out: how it is read, and what it is then. */
export interface Field<T> {
    readonly rule: Rule<T>;
    readonly absent: T;
}
/** The fields of a message in their order, each required unless it is a `Field`. */
export type Fields<T> = {
    readonly [K in keyof T]: Rule<T[K]> | Field<T[K]>;
};
/** A message: its fields, and the name of its class on the Python side. */
export type Named<T extends string, F> = {
    type: T;
} & F;
/** Reads an object by its fields; the first fault counts, in the order of the table. */
export declare function object<T extends object>(fields: Fields<T>): Rule<T>;
/** The same, of a message with that name. */
export declare function message<T extends string, F extends object>(type: T, fields: Fields<F>): Rule<Named<T, F>>;
/** A list of at most so many. */
export declare function list<T>(rule: Rule<T>, most: number): Rule<T[]>;
/** Nothing, or a text that stands for it: an empty object. */
export declare function isNothing(value: Json | undefined): boolean;
/**
 * The JSON value that a frame holds.
 *
 * @throws BadFrame - it is not JSON, or too deep, or not text.
 */
export declare function parseFrame(text: string): Json;
/** The envelope's `type`; null if it can't be one. */
export declare function kindOf(envelope: JsonObject): string | null;
/** A message's fields, as an object or as JSON in a string; nothing at all is an empty object. */
export declare function readBody<T>(rule: Rule<T>, body: Json | undefined): T | Fault;
