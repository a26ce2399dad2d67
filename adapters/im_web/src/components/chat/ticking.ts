/** The present time, for what counts down or says "today". */
import { onScopeDispose, ref, watch, type Ref } from 'vue'

/** The wall clock in ms, read again every `every` ms while `active`. */
export function useNow(every: number, active: () => boolean = () => true): Ref<number> {
  const now = ref(Date.now())
  let timer: ReturnType<typeof setInterval> | undefined
  watch(
    active,
    (on) => {
      clearInterval(timer)
      now.value = Date.now()
      if (on) timer = setInterval(() => (now.value = Date.now()), every)
    },
    { immediate: true },
  )
  onScopeDispose(() => clearInterval(timer))
  return now
}
