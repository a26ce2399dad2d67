/** What the components say, in Chinese. */
import type { Texts } from './en';
export declare const zh: Texts;
