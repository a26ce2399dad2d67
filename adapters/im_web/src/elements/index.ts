/** The components as custom elements, for pages that are not made with Vue. */
import { ChatPageElement, ChatWindowElement, SessionListElement } from './elements'

export { ChatPageElement, ChatWindowElement, SessionListElement }

const ELEMENTS = {
  'im-chat-page': ChatPageElement,
  'im-chat-window': ChatWindowElement,
  'im-session-list': SessionListElement,
}

/** Give the elements their names; those that a page has given already stay. */
export function defineElements(): void {
  for (const [name, element] of Object.entries(ELEMENTS)) {
    if (!customElements.get(name)) customElements.define(name, element)
  }
}

defineElements()
