import java.io.FileInputStream;
import java.io.InputStream;
import java.security.cert.CertPath;
import java.security.cert.CertPathValidator;
import java.security.cert.CertificateFactory;
import java.security.cert.PKIXParameters;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/** Verifies each chain under its anchor by PKIX (RFC 5280 section 6): arguments ANCHOR CHAIN ANCHOR CHAIN ... */
public class Verify {
    public static void main(String[] arguments) throws Exception {
        CertificateFactory factory = CertificateFactory.getInstance("X.509");
        for (int place = 0; place < arguments.length; place += 2) {
            X509Certificate anchor = read(factory, arguments[place]).get(0);
            List<X509Certificate> chain = read(factory, arguments[place + 1]);
            chain.removeIf(one -> one.equals(anchor));
            // A path ends below its anchor: what stands above it in the chain is for others.
            for (int above = 0; above < chain.size(); above++) {
                if (chain.get(above).getIssuerX500Principal().equals(anchor.getSubjectX500Principal())) {
                    chain = new ArrayList<>(chain.subList(0, above + 1));
                }
            }
            PKIXParameters parameters = new PKIXParameters(Set.of(new TrustAnchor(anchor, null)));
            parameters.setRevocationEnabled(false);
            CertPath path = factory.generateCertPath(chain);
            try {
                CertPathValidator.getInstance("PKIX").validate(path, parameters);
                System.out.println("OK " + chain.get(0).getExtendedKeyUsage());
            } catch (java.security.cert.CertPathValidatorException refused) {
                System.out.println("REFUSED " + refused.getMessage());
            }
        }
    }

    private static List<X509Certificate> read(CertificateFactory factory, String file) throws Exception {
        List<X509Certificate> found = new ArrayList<>();
        try (InputStream stream = new FileInputStream(file)) {
            factory.generateCertificates(stream).forEach(one -> found.add((X509Certificate) one));
        }
        return found;
    }
}
