/** Which language is spoken. */
import { type ComputedRef, type InjectionKey, type Ref } from 'vue';
import { type Texts } from './texts/en';
import { Clock } from './time';
export type { Texts };
export type Lang = 'en' | 'zh';
/** All languages. */
export declare const LANGUAGES: Readonly<Record<Lang, Texts>>;
/** A language for a wish such as 'zh-CN'; without one the browser's. English where it is neither. */
export declare function langOf(wish?: string | null): Lang;
/** The present language with its texts and its way to write times. */
export interface Speech {
    readonly lang: Ref<Lang>;
    readonly texts: ComputedRef<Texts>;
    readonly clock: ComputedRef<Clock>;
}
/** @param wish such as 'zh-CN'; without one as the user has chosen, else as the browser is. */
export declare function createSpeech(wish?: string | null): Speech;
/** Where components find it. */
export declare const SPEECH: InjectionKey<Speech>;
/** The language of the page around this component, or the browser's. */
export declare function useSpeech(): Speech;
