// How large a workbook may be, in every form it comes in.

/** A scenario of 50 000 rows has about 3 MB; a larger file is something else. */
export const fileBytesMax: number = 5 * 1024 * 1024
export const rowsMax = 50_000
/** No sheet has more than 30 columns; the rest is room for `x_` columns. */
export const columnsMax = 256
