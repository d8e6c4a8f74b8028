/**
 * Receive memory shared by all connections of a process. Connections take from it before they grant credit beyond the first 16 KiB of a
 * stream; when it runs short they go on with what they have, so a short budget costs speed and never stops a stream.
 */
export class ProcessBudget {
  readonly totalBytes: number
  private held = 0

  /** @param totalBytes memory for granted credit, in bytes. Too small: streams stay slow on long paths. @default 256 MiB */
  constructor(totalBytes: number = 256 * 1024 * 1024) {
    this.totalBytes = totalBytes
  }

  /** Bytes taken and not given back. May pass `totalBytes`, because a message under way is always finished. */
  get usedBytes(): number {
    return this.held
  }

  /** What {@link take} would give now. New credit ends at 70 %, so that what is granted already can still arrive. */
  get freeBytes(): number {
    return Math.max(0, Math.floor(this.totalBytes * 0.7) - this.held)
  }

  /** Takes up to `bytes`, and returns how many. */
  take(bytes: number): number {
    const taken = Math.min(bytes, this.freeBytes)
    this.held += taken
    return taken
  }

  /** Counts memory that is used whether there is room or not. */
  force(bytes: number): void {
    this.held += bytes
  }

  give(bytes: number): void {
    this.held = Math.max(0, this.held - bytes)
  }
}
