/**
 * What the custom elements have in common: a Vue component inside a shadow root.
 *
 * Vue's own `defineCustomElement` puts a `<style>` element into each shadow root, which a page with
 * `style-src 'self'` refuses, and reflects properties such as `token` into attributes. Here the
 * style is one constructed sheet that all share, and properties stay properties.
 */
import { createApp, h, shallowReactive, type App, type Component } from 'vue'
import css from '../components/styles/im.css?inline'

let shared: CSSStyleSheet | undefined

function sheet(): CSSStyleSheet {
  if (shared === undefined) {
    shared = new CSSStyleSheet()
    // an element has no size of its own, and is hidden like any other
    shared.replaceSync(
      `:host{display:block}:host([hidden]){display:none}.im-root{height:100%}${css}`,
    )
  }
  return shared
}

/** An element around a component. Who derives from it names the component, and its inputs. */
export abstract class VueBase extends HTMLElement {
  /** What the component is given. */
  protected readonly props = shallowReactive<Record<string, unknown>>({})
  #app: App | null = null

  protected abstract readonly component: Component

  constructor() {
    super()
    const root = this.attachShadow({ mode: 'open' })
    root.adoptedStyleSheets = [sheet()]
  }

  /** Prepare the application around the component, which is being made. */
  protected prepare(_app: App): void {}

  connectedCallback(): void {
    if (this.#app !== null) return
    // a property that was set before the element was defined hides the accessor of the class
    for (const name of Object.keys(this)) {
      if (name in Object.getPrototypeOf(this)) {
        const value = Reflect.get(this, name)
        Reflect.deleteProperty(this, name)
        Reflect.set(this, name, value)
      }
    }
    const app = createApp({ render: () => h(this.component, { ...this.props }) })
    this.prepare(app)
    // a shadow root does, though the types know only elements
    app.mount(this.shadowRoot as unknown as Element)
    this.#app = app
  }

  disconnectedCallback(): void {
    // one that is only moved comes back at once
    queueMicrotask(() => {
      if (this.isConnected) return
      this.#app?.unmount()
      this.#app = null
    })
  }

  attributeChangedCallback(name: string, _old: string | null, value: string | null): void {
    this.props[name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())] =
      value ?? undefined
  }

  /** Make the component anew, for what only its making takes in. */
  protected remake(): void {
    if (this.#app === null) return
    this.#app.unmount()
    this.#app = null
    this.connectedCallback()
  }

  /** Say something to the page; `detail` is what it is about. */
  protected say(name: string, detail: unknown): void {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }))
  }
}
