//! CPU families and models, and whether they can do TDX or SEV-SNP.
