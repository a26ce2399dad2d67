/**
 * The bounded building blocks of every message (protocol.md section 1).
 *
 * Everything that comes in has a bound here: integers a range, strings a length. Ids come as JSON
 * numbers or as decimal strings, and are a number up to 2^53-1 and a string above, here and where
 * they leave, because JavaScript loses precision there.
 */
import type { Id, UserId } from '../../generated/types';
import { isText, type Json } from './json';
import { type Field, type Rule } from './reading';
export { isText };
export type { Id, UserId };
/** Which of two ids is the higher: negative, 0 or positive, as for `sort`. */
export declare function compareIds(one: Id, other: Id): number;
/**
 * An id from whatever stands for one: a safe integer, a bigint, a canonical decimal string; null if
 * it stands for none between 1 and 2^63-1.
 */
export declare function asId(value: unknown): Id | null;
/** Is it an id, in the one form that ids have here? */
export declare function isId(value: unknown): value is Id;
/**
 * Normalise a user id: a canonical decimal string is the number, another string a name.
 *
 * @throws ValueError - not an int64 above zero and not a string of 1 to 128 printable characters.
 */
export declare function userId(value: unknown): UserId;
/** May it stand in AUTH_REQUEST: 1 to 8192 characters that are text? */
export declare function isToken(token: unknown): token is string;
/** May it be the name of an installation, or of an epoch? */
export declare function isTag(value: unknown): value is string;
/** The length that the limit counts: UTF-16 units after trimming. */
export declare function contentUnits(content: string): number;
/**
 * Is this a content that may be sent? (protocol.md section 1)
 *
 * @param content - what would be sent, untrimmed.
 * @param limit - the most UTF-16 units after trimming.
 * @throws ValueError - empty after trimming, too long, or not encodable; the text never holds it.
 */
export declare function checkContent(content: string, limit: number): void;
/** An integer; with `read` also what that makes one. */
export declare function integer(least: number, most: number | bigint, read?: (value: Json) => Json): Rule<number>;
/** A number of seconds; with `above` more than `least`. */
export declare function seconds(least: number, most: number, above?: boolean): Rule<number>;
/** A text of at least and at most so many characters. */
export declare function string(least: number, most: number): Rule<string>;
/** One of these words. */
export declare function oneOf<T extends string>(...words: readonly T[]): Rule<T>;
/** The same, an integer standing for its digits. */
export declare function numberToo(rule: Rule<string>): Rule<string>;
export declare const id: Rule<Id>;
/** An id or zero: a cursor that has seen nothing, a book that is none. */
export declare const idOrZero: Rule<Id>;
/** A number in a mailbox. There are not so many that JavaScript could not count them. */
export declare const seq: Rule<number>;
export declare const seqOrZero: Rule<number>;
/** A user id on the wire, normalised by `userId`. */
export declare const wireUserId: Rule<UserId>;
/** A result code; success is 0 on one branch of the family and 200 on the other. */
export declare const code: Rule<number>;
/** A count or a state, as a number or a decimal string. */
export declare const smallNumber: Rule<number>;
export declare const someSeconds: Rule<number>;
/** Any text a peer may say to a person. */
export declare const text: Rule<string>;
export declare const tag: Rule<string>;
export declare const boolean: Rule<boolean>;
/** May be left out, or null. */
export declare function optional<T>(rule: Rule<T>): Field<T | null>;
/** May be left out; an optional remark of the peer that can't be read is as good as none. */
export declare function lenient<T>(rule: Rule<T>): Field<T | null>;
/** A time in milliseconds since 1970. */
export declare const millis: Field<number | null>;
export declare const lenientText: Field<string | null>;
export declare const lenientMessageType: Field<string | null>;
export declare const lenientId: Field<Id | null>;
export declare const lenientUserId: Field<UserId | null>;
