/** Where the links are in a text. Only http and https become links; all else stays text. */

/** A piece of a text; `href` makes it a link. */
export interface Piece {
  readonly text: string
  readonly href: string | null
}

// Spaces, quotes, angle brackets, CJK punctuation and characters that turn the direction of writing
// around end a link: the last would make an address look like another one.
const LINK =
  /https?:\/\/[^\s<>"'`\u2018-\u201f\u200e\u200f\u202a-\u202e\u2066-\u2069\u3000-\u303f\uff00-\uffef]+/giu
const TRAILING = /[.,;:!?*_~]$/

/** Cut a text into pieces that together are the text. */
export function linkify(text: string): Piece[] {
  const pieces: Piece[] = []
  let done = 0
  for (const match of text.matchAll(LINK)) {
    const link = trimmed(match[0])
    const href = addressOf(link)
    if (href === null) continue
    if (match.index > done) pieces.push({ text: text.slice(done, match.index), href: null })
    pieces.push({ text: link, href })
    done = match.index + link.length
  }
  if (done < text.length) pieces.push({ text: text.slice(done), href: null })
  return pieces
}

/** Without what belongs to the sentence: a full stop, the bracket that was opened before. */
function trimmed(link: string): string {
  for (;;) {
    const closing = /[)\]}]$/.exec(link)?.[0]
    if (closing !== undefined) {
      const opening = { ')': '(', ']': '[', '}': '{' }[closing]!
      if (link.split(opening).length >= link.split(closing).length) return link
    } else if (!TRAILING.test(link)) {
      return link
    }
    link = link.slice(0, -1)
  }
}

function addressOf(link: string): string | null {
  let url: URL
  try {
    url = new URL(link)
  } catch {
    return null
  }
  return url.protocol === 'http:' || url.protocol === 'https:' ? url.href : null
}

const EMOJI =
  /^(?:\p{Extended_Pictographic}|\p{Emoji_Modifier}|\p{Regional_Indicator}|[\u200d\ufe0f\s])+$/u

/** Is it nothing but a few emoji? They are shown large. */
export function isJustEmoji(text: string): boolean {
  return text.length <= 24 && EMOJI.test(text)
}
