/** Ids and users as the components compare them. */
import type { Id, UserId } from '../../types';
/** A key for maps and attributes: the same user has one key, whether it came as 7 or as '7'. */
export declare function keyOf(id: Id | UserId): string;
/** Is it the same id? */
export declare function same(a: Id | UserId | null | undefined, b: Id | UserId | null | undefined): boolean;
/**
 * What somebody typed, or an attribute holds, as a user id: canonical decimal digits up to 2^53-1
 * are a number, all else is a name. Null for nothing.
 */
export declare function userIdOf(typed: UserId | null | undefined): UserId | null;
