/** Small things that a browser keeps for us, if it lets us: some refuse it in private windows. */

/** What was kept under a name; null if nothing was. */
export function recall(name: string): string | null {
  try {
    return localStorage.getItem(name)
  } catch {
    return null
  }
}

/** Keep a text; null forgets it. */
export function remember(name: string, text: string | null): void {
  try {
    if (text === null) localStorage.removeItem(name)
    else localStorage.setItem(name, text)
  } catch {
    // refused, or full: then it does not outlive the page
  }
}
