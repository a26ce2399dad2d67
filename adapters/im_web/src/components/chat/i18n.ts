/** Which language is spoken. */
import { computed, inject, ref, watch, type ComputedRef, type InjectionKey, type Ref } from 'vue'
import { recall, remember } from './storage'
import { en, type Texts } from './texts/en'
import { zh } from './texts/zh'
import { Clock } from './time'

export type { Texts }
export type Lang = 'en' | 'zh'

/** All languages. */
export const LANGUAGES: Readonly<Record<Lang, Texts>> = { en, zh }

/** A language for a wish such as 'zh-CN'; without one the browser's. English where it is neither. */
export function langOf(wish?: string | null): Lang {
  const wishes = wish ? [wish] : navigator.languages
  for (const one of wishes) {
    const lang = one.slice(0, 2).toLowerCase()
    if (lang === 'en' || lang === 'zh') return lang
  }
  return 'en'
}

/** the user's choice, in this browser */
const KEPT = 'im:lang'

/** The present language with its texts and its way to write times. */
export interface Speech {
  readonly lang: Ref<Lang>
  readonly texts: ComputedRef<Texts>
  readonly clock: ComputedRef<Clock>
}

/** @param wish such as 'zh-CN'; without one as the user has chosen, else as the browser is. */
export function createSpeech(wish?: string | null): Speech {
  const lang = ref(langOf(wish || recall(KEPT)))
  watch(lang, (chosen) => remember(KEPT, chosen))
  const texts = computed(() => LANGUAGES[lang.value])
  const tag = computed(() => navigator.languages.find((one) => one.startsWith(lang.value)))
  const clock = computed(() => new Clock(tag.value ?? lang.value, texts.value))
  return { lang, texts, clock }
}

/** Where components find it. */
export const SPEECH: InjectionKey<Speech> = Symbol('im speech')

/** The language of the page around this component, or the browser's. */
export function useSpeech(): Speech {
  return inject(SPEECH, () => createSpeech(), true)
}
