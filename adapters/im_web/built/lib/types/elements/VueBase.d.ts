/**
 * What the custom elements have in common: a Vue component inside a shadow root.
 *
 * Vue's own `defineCustomElement` puts a `<style>` element into each shadow root, which a page with
 * `style-src 'self'` refuses, and reflects properties such as `token` into attributes. Here the
 * style is one constructed sheet that all share, and properties stay properties.
 */
import { type App, type Component } from 'vue';
/** An element around a component. Who derives from it names the component, and its inputs. */
export declare abstract class VueBase extends HTMLElement {
    #private;
    /** What the component is given. */
    protected readonly props: import("vue").ShallowReactive<Record<string, unknown>>;
    protected abstract readonly component: Component;
    constructor();
    /** Prepare the application around the component, which is being made. */
    protected prepare(_app: App): void;
    connectedCallback(): void;
    disconnectedCallback(): void;
    attributeChangedCallback(name: string, _old: string | null, value: string | null): void;
    /** Make the component anew, for what only its making takes in. */
    protected remake(): void;
    /** Say something to the page; `detail` is what it is about. */
    protected say(name: string, detail: unknown): void;
}
