// TextEncoder and TextDecoder are pure and exist in every runtime we know, but neither `ES2023` nor any narrower library declares them.

declare class TextEncoder {
  encode(text: string): Uint8Array<ArrayBuffer>
}

declare class TextDecoder {
  constructor(label?: string, options?: { fatal?: boolean; ignoreBOM?: boolean })
  decode(bytes: Uint8Array): string
}
