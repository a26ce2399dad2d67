export * from './types/components/index'
