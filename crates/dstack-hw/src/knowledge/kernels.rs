//! Kernels and distributions, and how each brings TDX or SEV-SNP up.
