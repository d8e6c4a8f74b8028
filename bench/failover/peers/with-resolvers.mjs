// Imported first by peers that use a function which Node 20 does not have.
Promise.withResolvers ??= () => {
  let resolve
  let reject
  const promise = new Promise((done, fail) => {
    resolve = done
    reject = fail
  })
  return { promise, resolve, reject }
}
