/** The components as custom elements, for pages that are not made with Vue. */
import { ChatPageElement, ChatWindowElement, SessionListElement } from './elements';
export { ChatPageElement, ChatWindowElement, SessionListElement };
/** Give the elements their names; those that a page has given already stay. */
export declare function defineElements(): void;
