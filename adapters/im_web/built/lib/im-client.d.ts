export * from './types/client/index'
