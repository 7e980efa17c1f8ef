export {
  type Certificate,
  type CertificateAuthority,
  createCertificateAuthority,
} from '../../bench/fixtures/certificates.ts'
