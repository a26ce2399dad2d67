// @vitest-environment happy-dom
import { afterEach, expect, it, vi } from 'vitest'
import { createSpeech, LANGUAGES, langOf } from '../../src/components/chat/i18n'
import { Clock } from '../../src/components/chat/time'

afterEach(() => {
  vi.restoreAllMocks()
  localStorage.clear()
})

function keysOf(texts: object, prefix = ''): string[] {
  return Object.entries(texts).flatMap(([key, value]) =>
    typeof value === 'object' ? keysOf(value, `${prefix}${key}.`) : [prefix + key],
  )
}

it('says everything in both languages', () => {
  expect(keysOf(LANGUAGES.zh).sort()).toEqual(keysOf(LANGUAGES.en).sort())
  for (const texts of Object.values(LANGUAGES)) {
    for (const [key, text] of Object.entries(texts)) {
      const said = typeof text === 'function' ? (text as (...a: unknown[]) => string)(1, 2) : text
      expect(said, key).toBeTruthy()
    }
  }
  for (const key of keysOf(LANGUAGES.zh)) expect(key).not.toMatch(/undefined/)
})

it('puts numbers and names into the texts of both languages', () => {
  for (const texts of Object.values(LANGUAGES)) {
    expect(texts.queued(17)).toContain('17')
    expect(texts.reconnecting(3)).toContain('3')
    expect(texts.writeTo('Mira')).toContain('Mira')
    expect(texts.counter(990, 1000)).toMatch(/990.*1000/)
  }
})

it('takes the language that is asked for, else what was chosen, else the browser’s', () => {
  const languages = vi.spyOn(navigator, 'languages', 'get')
  languages.mockReturnValue(['fr-FR', 'zh-TW', 'en'])
  expect(langOf()).toBe('zh')
  expect(langOf('en-GB')).toBe('en')
  expect(langOf('fr')).toBe('en')
  localStorage.setItem('im:lang', 'en')
  expect(createSpeech().lang.value).toBe('en')
  expect(createSpeech('zh-CN').lang.value).toBe('zh')
})

it('names days as people do', () => {
  const clock = new Clock('en', LANGUAGES.en)
  const noon = new Date(2024, 4, 15, 12).getTime()
  const day = 86_400_000
  expect(clock.day(noon - 11 * 3_600_000, noon)).toBe('Today')
  expect(clock.day(noon - 13 * 3_600_000, noon)).toBe('Yesterday')
  expect(clock.day(noon - 3 * day, noon)).toBe('Sunday')
  expect(clock.day(noon - 30 * day, noon)).toContain('April 15, 2024')
  expect(clock.brief(noon, noon)).toBe('12:00')
  expect(clock.brief(noon - 3 * day, noon)).toBe('Sunday')
})
