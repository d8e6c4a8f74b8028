// Bugs planted by hand, each a textual patch of one built file: what a slip of the pen would look like. The simulator must find every one.
// `find` must stand in the file exactly once; when the code changes so that it does not, the test says so.

export const bugs = [
  {
    name: 'an ack that frees early',
    file: 'client/dist/core/connection/send-buffer.js',
    find: 'for (; this.base < ack.cumulative; this.base += 1) {',
    replace: 'for (; this.base < Math.min(ack.cumulative + 1, this.next); this.base += 1) {',
  },
  {
    name: 'a lost fin',
    file: 'client/dist/core/connection/receiver.js',
    find: "case 'fin':",
    replace: "case 'fin':\n                    if (frame.type === 'fin' && this.duplicates > 0) break;",
  },
  {
    name: 'a nonce used again after a rekey',
    file: 'client/dist/core/connection/outbox.js',
    find: 'const header = { form: 0, kind: PACKET_KIND.loose, epoch: this.#sealer.sendEpoch, counter: this.#looseCounter };',
    replace:
      'if (this.epochBefore !== this.#sealer.sendEpoch) this.#looseCounter = 0;\n        this.epochBefore = this.#sealer.sendEpoch;\n        const header = { form: 0, kind: PACKET_KIND.loose, epoch: this.#sealer.sendEpoch, counter: this.#looseCounter };',
  },
  {
    name: 'a dedupe window that is off by one',
    file: 'client/dist/core/connection/receive-numbers.js',
    find: 'if (number < this.next)',
    replace: 'if (number < this.next - 1)',
  },
  {
    name: 'no resend after a move',
    file: 'client/dist/core/connection/flights.js',
    find: 'path.inFlightBytes = 0;\n        this.#resends.add(lost);',
    replace: 'path.inFlightBytes = 0;',
  },
  {
    name: 'credit that is taken back',
    file: 'client/dist/core/streams/credit-window.js',
    find: 'if (grants) {',
    replace: 'if (!grants && this.limit > base + 4096) { this.limit -= 4096; return true; }\n        if (grants) {',
  },
  {
    name: 'glare that both win',
    file: 'client/dist/core/client/glare.js',
    find: "if (state.ownAttempt && state.elder)\n        return 'yield';",
    replace: '',
  },
  {
    name: 'a path hello that acknowledges what is missing',
    file: 'client/dist/core/connection/path-hello.js',
    find: 'const ack = this.#needs.ackState();',
    replace:
      'const known = this.#needs.ackState();\n        const ack = { cumulative: known.ranges.length > 0 ? known.ranges[known.ranges.length - 1][1] : known.cumulative, ranges: [] };',
  },
  {
    name: 'a plan whose number does not rise',
    file: 'client/dist/core/plan/planner.js',
    find: 'epoch: (last?.epoch ?? 0) + 1,',
    replace: 'epoch: 1,',
  },
  {
    name: 'a key dropped while packets under it travel',
    file: 'protocol/dist/session/packet-sealer.js',
    find: 'this.#receiveEpochs = this.#receiveEpochs.filter((known) => known.epoch === previous);',
    replace: 'this.#receiveEpochs = [];',
  },
]
