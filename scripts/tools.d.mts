/** One step of putting a tool into the cache. */
export interface Step {
  readonly command: readonly string[]
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
}
/** What `tools/NAME/tool.mjs` exports. */
export interface Tool {
  readonly what: string
  readonly takes: string
  readonly programs: readonly string[]
  readonly needs: readonly { readonly program: string; readonly how: string }[]
  readonly sources?: readonly string[]
  steps(where: { readonly here: string; readonly into: string }): readonly Step[]
}
/** Where tools are put. */
export function cacheFolder(): string
/** The path of a program of a tool, or undefined when it is neither on the PATH nor in the cache. */
export function findTool(name: string, program?: string): string | undefined
