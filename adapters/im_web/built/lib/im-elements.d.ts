export * from './types/elements/index'
