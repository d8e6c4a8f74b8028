// A property of the world that did not hold.

export class Violation extends Error {
  /** Which property, as one word. */
  readonly property: string

  constructor(property: string, message: string) {
    super(message)
    this.name = 'Violation'
    this.property = property
  }
}
