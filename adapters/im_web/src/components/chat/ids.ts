/** Ids and users as the components compare them. */
import type { Id, UserId } from '../../types'

/** A key for maps and attributes: the same user has one key, whether it came as 7 or as '7'. */
export function keyOf(id: Id | UserId): string {
  return String(id)
}

/** Is it the same id? */
export function same(
  a: Id | UserId | null | undefined,
  b: Id | UserId | null | undefined,
): boolean {
  return a != null && b != null && keyOf(a) === keyOf(b)
}

/**
 * What somebody typed, or an attribute holds, as a user id: canonical decimal digits up to 2^53-1
 * are a number, all else is a name. Null for nothing.
 */
export function userIdOf(typed: UserId | null | undefined): UserId | null {
  const text = String(typed ?? '').trim()
  if (text === '') return null
  const number = Number(text)
  return Number.isSafeInteger(number) && number > 0 && String(number) === text ? number : text
}
