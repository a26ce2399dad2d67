/** Every dialect by the name that a configuration calls it. One more is a file beside theirs. */

import type { CoreConfig } from '../../generated/types'
import type { Dialect } from './dialect'
import { Invocation } from './invocation'
import { Typed } from './typed'

/** The dialect of that name. */
export function dialectOf(name: CoreConfig['dialect']): Dialect {
  return name === 'typed' ? new Typed() : new Invocation()
}
