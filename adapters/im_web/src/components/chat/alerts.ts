/** How the user hears of a message: a sound, a notification, a number in the title. */
import { ref, watch, type Ref } from 'vue'
import { recall, remember } from './storage'

/** Sound, notifications and title. */
export class Alerts {
  /** Is the sound off? Kept in this browser. */
  readonly muted: Ref<boolean> = ref(recall('im:muted') === 'yes')
  /** What the browser allows: 'default' was never asked; 'unsupported' can't. */
  readonly permission: Ref<NotificationPermission | 'unsupported'> = ref(
    typeof Notification === 'undefined' ? 'unsupported' : Notification.permission,
  )
  #audio: AudioContext | undefined

  toggleMute(): void {
    this.muted.value = !this.muted.value
    remember('im:muted', this.muted.value ? 'yes' : null)
    this.beep()
  }

  /** Ask the browser to let us show notifications; only ever on a click. */
  async ask(): Promise<void> {
    if (this.permission.value === 'unsupported') return
    this.permission.value = await Notification.requestPermission()
  }

  /** Two short tones, unless muted. */
  beep(): void {
    if (this.muted.value || typeof AudioContext === 'undefined') return
    const audio = (this.#audio ??= new AudioContext())
    // before the first click a browser keeps it silent: then there is no sound, and no error
    void audio.resume().catch(() => undefined)
    tone(audio, 880, 0)
    tone(audio, 1175, 0.09)
  }

  /** Show a message that has come while nobody looked. */
  notify(title: string, body: string, tag: string, onclick: () => void): void {
    if (this.permission.value !== 'granted') return
    try {
      const shown = new Notification(title, { body, tag })
      shown.onclick = () => {
        shown.close()
        window.focus()
        onclick()
      }
    } catch {
      // mobile browsers allow it only to a service worker
    }
  }

  stop(): void {
    void this.#audio?.close()
  }
}

function tone(audio: AudioContext, pitch: number, after: number): void {
  const oscillator = audio.createOscillator()
  const volume = audio.createGain()
  const begin = audio.currentTime + after
  oscillator.frequency.value = pitch
  volume.gain.setValueAtTime(0.0001, begin)
  volume.gain.exponentialRampToValueAtTime(0.12, begin + 0.02)
  volume.gain.exponentialRampToValueAtTime(0.0001, begin + 0.16)
  oscillator.connect(volume).connect(audio.destination)
  oscillator.start(begin)
  oscillator.stop(begin + 0.18)
}

/** Put the number of unread messages before the page's title, as long as this lives. */
export function badgeTitle(count: () => number): () => void {
  const title = document.title
  const show = (n: number) => (document.title = n > 0 ? `(${n}) ${title}` : title)
  const stop = watch(count, show, { immediate: true })
  return () => {
    stop()
    document.title = title
  }
}
