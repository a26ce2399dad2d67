/** Is the user looking? The page is visible and has the focus. */
import { ref, type Ref } from 'vue'

/** @returns whether, and how to stop watching. */
export function watchAttention(): { looking: Ref<boolean>; stop: () => void } {
  const look = () => document.visibilityState !== 'hidden' && document.hasFocus()
  const looking = ref(look())
  const update = () => (looking.value = look())
  const gone = () => (looking.value = false)
  addEventListener('focus', update)
  addEventListener('blur', gone)
  document.addEventListener('visibilitychange', update)
  return {
    looking,
    stop() {
      removeEventListener('focus', update)
      removeEventListener('blur', gone)
      document.removeEventListener('visibilitychange', update)
    },
  }
}
