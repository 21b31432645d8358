/** Where a writer keeps batches until they are answered. */
export {};
