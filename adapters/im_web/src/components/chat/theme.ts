/** Light or dark: as the user has chosen, or as the system is. */
import {
  computed,
  getCurrentScope,
  inject,
  onScopeDispose,
  ref,
  type ComputedRef,
  type InjectionKey,
} from 'vue'
import { recall, remember } from './storage'

export type Theme = 'light' | 'dark'

/** The present colours, and the switch. */
export interface Look {
  readonly theme: ComputedRef<Theme>
  /** Take the other one, and keep that choice. */
  toggle(): void
}

/** @param wish 'light' or 'dark'; all else leaves it to the user and the system. */
export function createLook(wish?: () => string | null | undefined): Look {
  const system = matchMedia('(prefers-color-scheme: dark)')
  const isDark = ref(system.matches)
  const follow = () => (isDark.value = system.matches)
  system.addEventListener('change', follow)
  if (getCurrentScope()) onScopeDispose(() => system.removeEventListener('change', follow))
  const chosen = ref(recall('im:theme'))
  const theme = computed<Theme>(() => {
    for (const one of [chosen.value, wish?.()]) if (one === 'light' || one === 'dark') return one
    return isDark.value ? 'dark' : 'light'
  })
  return {
    theme,
    toggle() {
      chosen.value = theme.value === 'dark' ? 'light' : 'dark'
      remember('im:theme', chosen.value)
    },
  }
}

/** Where components find it. */
export const LOOK: InjectionKey<Look> = Symbol('im look')

export function useLook(): Look {
  return inject(LOOK, () => createLook(), true)
}
