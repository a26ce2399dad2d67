// @vitest-environment happy-dom
import { afterEach, describe, expect, it } from 'vitest'
import { isJustEmoji, linkify } from '../../src/components/chat/linkify'
import MessageText from '../../src/components/MessageText.vue'
import { Mounted } from './mount'

const links = (text: string) => linkify(text).flatMap((piece) => piece.href ?? [])

let shown: Mounted | undefined
afterEach(() => shown?.unmount())

describe('links', () => {
  it.each([
    ['see https://example.org/a?b=1#c now', ['https://example.org/a?b=1#c']],
    ['http://example.org.', ['http://example.org/']],
    ['(https://example.org/a_(b))', ['https://example.org/a_(b)']],
    ['看 https://example.org/路，好', ['https://example.org/%E8%B7%AF']],
    ['https://a.org https://b.org', ['https://a.org/', 'https://b.org/']],
    ['javascript:alert(1) data:text/html,x ftp://x.org file:///etc/passwd', []],
    ['https:// and http://', []],
    ['https://good.org/\u202egpj.exe', ['https://good.org/']],
  ])('are found in %j', (text, wanted) => {
    expect(links(text)).toEqual(wanted)
  })

  it('leave the text as it was', () => {
    const text = 'a https://example.org/x). b\nhttps:// c'
    expect(
      linkify(text)
        .map((piece) => piece.text)
        .join(''),
    ).toBe(text)
  })

  it('open elsewhere, and tell nothing about this page', () => {
    shown = new Mounted(MessageText, { content: 'https://example.org' })
    const link = shown.root.querySelector('a')!
    expect(link.target).toBe('_blank')
    expect(link.rel).toBe('noopener noreferrer')
  })
})

describe('text is text', () => {
  it.each([
    '<script>alert(1)</script>',
    '<img src=x onerror=alert(1)>',
    '"><svg onload=alert(1)>',
    '{{ constructor.constructor("alert(1)")() }}',
    '<a href="javascript:alert(1)">x</a>',
    'https://example.org/"onmouseover="alert(1)',
    '&lt;b&gt; &amp;',
  ])('%s', (content) => {
    shown = new Mounted(MessageText, { content })
    expect(shown.root.textContent).toBe(content)
    expect([...shown.root.querySelectorAll('*')].map((e) => e.tagName)).not.toContain('IMG')
    for (const element of shown.root.querySelectorAll('*')) {
      expect(['SPAN', 'A']).toContain(element.tagName)
      expect(element.getAttributeNames().filter((name) => name.startsWith('on'))).toEqual([])
    }
  })
})

it('shows a few emoji large, but no digits', () => {
  expect(isJustEmoji('👍🏽 🎉')).toBe(true)
  expect(isJustEmoji('👨‍👩‍👧')).toBe(true)
  expect(isJustEmoji('🇩🇪')).toBe(true)
  expect(isJustEmoji('12')).toBe(false)
  expect(isJustEmoji('ok 👍')).toBe(false)
})
