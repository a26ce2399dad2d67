/** Small things about texts that the port needs and JavaScript has not got. */

/** How many bytes a text has in UTF-8. */
export function utf8Length(text: string): number {
  let bytes = text.length
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at)
    // each half of a surrogate pair stands for two of its four bytes
    if (unit > 0x7f) bytes += unit < 0x800 || (unit >= 0xd800 && unit < 0xe000) ? 1 : 2
  }
  return bytes
}

/** Has a text more than so many code points? */
export function longerThan(text: string, points: number): boolean {
  return text.length > points && (text.length > 2 * points || [...text].length > points)
}

/** A number with six significant digits and no needless zeros: what `{x:g}` writes in Python. */
export function g(x: number): string {
  const [mantissa, exponent] = x.toExponential(5).split('e') as [string, string]
  const power = Number(exponent)
  if (power >= -4 && power < 6) return String(Number(x.toPrecision(6)))
  const digits = String(Math.abs(power)).padStart(2, '0')
  return `${Number(mantissa)}e${power < 0 ? '-' : '+'}${digits}`
}

/** A number with so many decimals, a tie to the even one: what `{x:.1f}` writes in Python. */
export function fixed(x: number, decimals: number): string {
  const scale = 10 ** decimals
  const below = Math.floor(x * scale)
  // only halves, and quarters before one decimal, are exact enough for a tie
  const tie = Number.isInteger(x * 4) && x * scale === below + 0.5
  return (tie && below % 2 === 0 ? below / scale : x).toFixed(decimals)
}

/** A value in quotes, or a number as it is: what `{x!r}` writes in Python of what is printable. */
export function repr(value: number | string): string {
  if (typeof value === 'number') return String(value)
  const quote = value.includes("'") && !value.includes('"') ? '"' : "'"
  return quote + value.replaceAll('\\', '\\\\').replaceAll(quote, `\\${quote}`) + quote
}
