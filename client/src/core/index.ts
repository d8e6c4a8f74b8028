export * from './client/index.ts'
export * from './connection/index.ts'
export * from './paths/index.ts'
export * from './streams/index.ts'
